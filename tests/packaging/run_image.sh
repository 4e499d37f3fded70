#!/bin/sh
# Run the image of build_image.sh as docs/compose.yaml does: read-only root, no capabilities, no new rights, no network.
# Usage: run_image.sh WORK_FOLDER [podman option...] localhost/guard:test [argument...]
set -eu
work=$1
shift
export WORK="$work"
# A mount namespace with cgroup2 only: crun refuses the hybrid hierarchy that some hosts have.
# shellcheck disable=SC2016
exec unshare --mount sh -euc '
    umount -R /sys/fs/cgroup
    mount -t cgroup2 none /sys/fs/cgroup
    exec podman --runtime crun --root "$WORK/store" --runroot "$WORK/run" --storage-driver overlay --cgroup-manager cgroupfs \
        run --rm --network none --cgroups=disabled --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 --no-healthcheck \
        --read-only --tmpfs /tmp:size=16m,noexec,nosuid,nodev --cap-drop all --security-opt no-new-privileges "$@"
' sh "$@"
