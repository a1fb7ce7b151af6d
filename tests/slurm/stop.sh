#!/usr/bin/env bash
# Stop the Slurm of start.sh and the jobs in it. Its logs stay until the next start.
set -euo pipefail
run=/run/facesr-slurm
export SLURM_CONF=$run/slurm.conf

alive() { pgrep --pidfile "$run/$1.pid" "$1" >/dev/null 2>&1; }
has_jobs() {
    [ -n "$(timeout 5 squeue --noheader --states=running,completing 2>/dev/null)" ]
}
# 40 seconds at most, until COMMAND... fails.
while_it_does() { for ((i = 0; i < 200; i++)); do "$@" || return 0; sleep 0.2; done; }

# Jobs would outlive the daemons. One that ignores SIGTERM is killed after 30 seconds (KillWait).
if alive slurmctld; then
    timeout 10 scancel --partition=debug 2>/dev/null || true
    while_it_does has_jobs
fi
for daemon in slurmd slurmctld munged; do
    if alive "$daemon"; then
        pkill --pidfile "$run/$daemon.pid" "$daemon"
        while_it_does alive "$daemon"
    fi
done
echo "Slurm is stopped"
