#!/usr/bin/env bash
# A real Slurm of one node for the tests, on this machine (Debian, root): bash tests/slurm/start.sh
#
# Where it answers already, nothing is done. Commands find it by SLURM_CONF, printed at the end.
# It has a directory, ports and a key of its own: a Slurm that the machine has is left alone.
# Exit code 77: this machine cannot have one, for the reason printed.
set -euo pipefail
run=/run/facesr-slurm
export SLURM_CONF=$run/slurm.conf
PATH=$PATH:/usr/sbin

cannot() { echo "no Slurm for tests: $*" >&2; exit 77; }
# slurmd is asked itself: sinfo would call a node whose slurmd is gone idle for minutes.
answers() {
    timeout 10 scontrol show slurmd >/dev/null 2>&1 &&
        [[ $(timeout 10 sinfo --noheader --format %T 2>&1) =~ ^(idle|mixed|allocated|completing)$ ]]
}

[ "$(id -u)" = 0 ] || cannot "only root can start it"
if ! { command -v munged && command -v slurmctld && command -v slurmd; } >/dev/null; then
    command -v apt-get >/dev/null || cannot "neither slurm-wlm and munge nor apt-get are here"
    apt() { DEBIAN_FRONTEND=noninteractive timeout 180 apt-get -qq "$@" >/dev/null 2>&1; }
    apt update || cannot "apt-get update failed"
    apt install --yes --no-install-recommends slurm-wlm munge ||
        cannot "apt-get could not install slurm-wlm and munge"
fi

if ! answers; then
    bash "$(dirname "${BASH_SOURCE[0]}")/stop.sh" >/dev/null
    rm -rf "$run"
    mkdir -p "$run/state" "$run/spool"
    cat >"$SLURM_CONF" <<CONF
ClusterName=facesr
SlurmctldHost=$(hostname --short)(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root

# A requeued job is held until its old credential has expired, by default for two minutes.
AuthInfo=socket=$run/munge/socket,cred_expire=5
# Look at the queue every 2 seconds: by default it is up to a minute.
SchedulerParameters=sched_interval=2,bf_interval=2

# A container has no cgroups to give; a task is kept to its cores all the same (CpuBind below).
ProctrackType=proctrack/pgid
TaskPlugin=task/affinity
# Jobs share the node by the core; by default the first one takes all its memory too.
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
# Refuse what can never run, rather than queue it for ever.
EnforcePartLimits=ALL

JobRequeue=1
# A node that was away, with its container say, is taken back without being asked.
ReturnToService=2
# Without accounting, scontrol is who tells of a finished job: let it for an hour.
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MinJobAge=3600

StateSaveLocation=$run/state
SlurmdSpoolDir=$run/spool
SlurmctldPidFile=$run/slurmctld.pid
SlurmdPidFile=$run/slurmd.pid
SlurmctldLogFile=$run/slurmctld.log
SlurmdLogFile=$run/slurmd.log

# Cores and memory as slurmd finds them, and two GPUs that need not exist, for scripts that ask.
GresTypes=gpu
$(slurmd -C | head --lines=1) NodeAddr=127.0.0.1 Gres=gpu:2 CpuBind=core
PartitionName=debug Nodes=ALL Default=YES MaxTime=7-0 DefaultTime=10
CONF
    # A GPU must be a device; these two every machine has.
    printf 'Name=gpu File=%s\n' /dev/null /dev/zero >"$run/gres.conf"

    # munged refuses to run as root, or on files of another user.
    install --directory --owner=munge --group=munge "$run/munge"
    runuser -u munge -- mungekey --create --keyfile="$run/munge/key"
    runuser -u munge -- munged --key-file="$run/munge/key" --socket="$run/munge/socket" \
        --pid-file="$run/munge/pid" --log-file="$run/munge/log" --seed-file="$run/munge/seed"
    ln -s munge/pid "$run/munged.pid"
    slurmctld
    slurmd
    for ((second = 0; second < 50; second++)); do
        if answers; then break; fi
        sleep 1
    done
    if ! answers; then
        tail -n 20 "$run/slurmctld.log" "$run/slurmd.log" >&2 || true
        echo "error: the node does not become idle; the logs are in $run" >&2
        exit 1
    fi
fi
echo "Slurm $(slurmd -V | cut -d ' ' -f 2) answers; to use it: export SLURM_CONF=$SLURM_CONF"
echo "logs: $run; to stop it: bash tests/slurm/stop.sh"
