"""One far side, two senders: neither disturbs it while it asked for quiet."""

import asyncio
from datetime import timedelta

import looptime
import pytest
from told_support import ScriptedChannel, message

from guard.errors import DeliveryFailed
from guard.notify.quiet import QuietChannel


def test_nothing_reaches_the_far_side_before_its_retry_after_is_over():
    phone = ScriptedChannel("phone", [DeliveryFailed("429", retry_after=timedelta(seconds=30))])
    quiet = QuietChannel(phone)

    async def send_twice_then_wait() -> None:
        with pytest.raises(DeliveryFailed, match="429"):
            await quiet.send(message(1), attempt=1)
        await asyncio.sleep(10)
        with pytest.raises(DeliveryFailed, match="another 20 s") as failure:
            await quiet.send(message(2), attempt=1)
        assert failure.value.retry_after == timedelta(seconds=20)
        assert len(phone.tried) == 1
        await asyncio.sleep(20)
        await quiet.send(message(2), attempt=2)

    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        runner.run(send_twice_then_wait())
    assert [told.id for told in phone.confirmed] == ["msg_2"]
