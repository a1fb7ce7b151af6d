#!/usr/bin/env bash
# Train on a Slurm cluster, as many jobs as it takes; from the repository's folder:
#
#   sbatch scripts/slurm_train.sh configs/srresnet_24b.py [options of tools/train.py]
#
# Before the time limit the run saves, the job puts itself into the queue again, and the run resumes,
# until the training is done. Requeueing stops on an error, which is at the end of the log, or after
# three restarts without a new checkpoint. sbatch's own options override these, several GPUs for
# example:
#
#   sbatch --partition=long --gres=gpu:4 --ntasks-per-node=4 scripts/slurm_train.sh configs/...
#
#SBATCH --job-name=facesr
#SBATCH --output=work_dirs/slurm-%j.log
#SBATCH --time=08:00:00
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail

# One task a GPU; batch_size and cpus-per-task are those of each. 300 s before the limit the run is told
# to save: more than an iteration takes, and a validation of the average of the weights.
environment=${FACESR_ENVIRONMENT:-.venv}

cd "${SLURM_SUBMIT_DIR:?submit it: sbatch scripts/slurm_train.sh CONFIG}" # $0 is the spool's copy
if [ -f "$environment/bin/activate" ]; then . "$environment/bin/activate"; fi
MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head --lines=1)
export MASTER_ADDR MASTER_PORT=$((20000 + SLURM_JOB_ID % 10000)) OMP_NUM_THREADS=${SLURM_CPUS_PER_TASK:-1}

# The run writes this file when it has stopped and saved. srun's exit code does not say so: the first
# task to leave has the others killed.
export FACESR_STOP_FILE=$PWD/work_dirs/.slurm-$SLURM_JOB_ID.stopped
rm -f "$FACESR_STOP_FILE"

options=(--resume=auto "$@")
# After a restart it resumes from its own checkpoints, not from one that the command line named.
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then options+=(--resume=auto); fi
if [ "${SLURM_NTASKS:-1}" -gt 1 ]; then options+=(--launcher slurm); fi

asked='' child=''
trap 'asked=yes; if [ -n "$child" ]; then kill -USR1 "$child"; fi' USR1
trap : TERM # reaches the training too, which saves
echo "=== job $SLURM_JOB_ID, restart ${SLURM_RESTART_COUNT:-0}, $(hostname), $(date '+%F %T')"
# Since 22.05 srun does not take --cpus-per-task from sbatch.
srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --kill-on-bad-exit=1 \
    python tools/train.py "${options[@]}" &
child=$!
code=0
wait "$child" || code=$?
while kill -0 "$child" 2>/dev/null; do # a signal ended the wait, not the training
    code=0
    wait "$child" || code=$?
done

if [ -f "$FACESR_STOP_FILE" ]; then
    code=75
    stopped=$(<"$FACESR_STOP_FILE")
    rm "$FACESR_STOP_FILE"
    if [ -n "$asked" ]; then
        # The same words three times: each restart began where the one before began.
        tries=$PWD/work_dirs/.slurm-$SLURM_JOB_ID.tries
        echo "$stopped" >>"$tries"
        if [ "$(grep -cxF -- "$stopped" "$tries")" -ge 3 ]; then
            rm "$tries"
            echo "error: stopped three times without progress; save more often" \
                "(default_hooks.checkpoint.interval), or ask for more time"
            exit 1
        fi
        echo "=== queued again: $stopped"
        trap '' TERM # the requeue ends this script
        scontrol requeue "$SLURM_JOB_ID"
        exit "$code"
    fi
fi
rm -f "$PWD/work_dirs/.slurm-$SLURM_JOB_ID.tries"
exit "$code"
