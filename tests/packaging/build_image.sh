#!/bin/sh
# Build the Dockerfile, unchanged, without a container engine and without an image registry: buildah in a chroot, on a
# stand-in for the base image that is made from Debian's own packages. Needs root, Debian or Ubuntu, and a network.
#   apt-get install buildah podman crun debootstrap
# Usage: build_image.sh REPOSITORY WORK_FOLDER     The folder keeps the tree and the base for the next time.
set -eu
repository=$1 work=$2
tree=$work/trixie
ca=/etc/ssl/certs/ca-certificates.crt
storage="--root $work/store --runroot $work/run --storage-driver overlay"
mkdir -p "$work"

if [ ! -e "$work/tree.done" ]; then
    rm -rf "$tree"
    debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,python3,python3-venv,procps,ca-certificates \
        trixie "$tree" >"$work/debootstrap.log"
    ln -s /usr/bin/python3 "$tree/usr/local/bin/python" # Where the official image has its Python.
    ln -s /usr/bin/python3 "$tree/usr/local/bin/python3"
    touch "$work/tree.done"
fi

# shellcheck disable=SC2086 # The options are words.
if ! buildah $storage inspect --type image docker.io/library/python:3.13-slim-trixie >/dev/null 2>&1; then
    tar -C "$tree" --one-file-system -c . | podman $storage import --quiet - localhost/debian:base
    base=$(buildah $storage from --pull-never localhost/debian:base)
    # This machine's certificates, for a network with a proxy of its own: in the stand-in, not in our Dockerfile.
    buildah $storage copy --quiet "$base" $ca $ca
    buildah $storage config --env SSL_CERT_FILE=$ca --env PIP_CERT=$ca "$base"
    buildah $storage commit --quiet --rm "$base" docker.io/library/python:3.13-slim-trixie
fi

# shellcheck disable=SC2086 # `--format docker`, or the health check is dropped.
buildah $storage bud --quiet --format docker --isolation chroot --network host --pull-never \
    --tag localhost/guard:test --file "$repository/Dockerfile" "$repository"

# The shipped environment, for a machine that boots it.
# shellcheck disable=SC2086
container=$(buildah $storage from --pull-never localhost/guard:test)
# shellcheck disable=SC2086
rm -rf "$work/opt-guard" && cp -a "$(buildah $storage mount "$container")/opt/guard" "$work/opt-guard"
# shellcheck disable=SC2086
buildah $storage rm "$container" >/dev/null
