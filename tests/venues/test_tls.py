"""A far side whose certificate nobody vouches for hears nothing of ours, and the reason names the certificate."""

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from venue_support import StubExchange, account_at

from guard.errors import OutcomeUnknown, VenueUnavailable
from guard.venues.binance import BinanceUsdm


def _self_signed(folder):
    """Write a certificate for 127.0.0.1 and its key into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "both.pem"
    plain = serialization.NoEncryption()
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return path


@pytest.fixture
async def impostor(tmp_path):
    """Serve the stub exchange under a certificate of its own making."""
    stub = StubExchange()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stub.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(_self_signed(tmp_path))
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    stub.url = f"https://127.0.0.1:{runner.addresses[0][1]}"
    yield stub
    await runner.cleanup()


async def test_nothing_is_sent_to_a_certificate_that_nobody_vouches_for(impostor):
    venue = BinanceUsdm(account_at(impostor), now=lambda: datetime.now(UTC))
    try:
        with pytest.raises(VenueUnavailable, match="Certificate"):
            await venue.open()
        with pytest.raises((VenueUnavailable, OutcomeUnknown), match="Certificate"):
            await venue._client.fapiPrivatePostPositionMargin({"symbol": "BTCUSDT", "amount": "1", "type": 1})
    finally:
        await venue.close()
    assert impostor.requests == []
