#!/usr/bin/env bash
# Restore a test set on a Slurm cluster; from the repository's folder:
#
#   sbatch scripts/slurm_test.sh configs/srresnet_24b.py CHECKPOINT [options of tools/test.py]
#
#SBATCH --job-name=facesr-test
#SBATCH --output=work_dirs/slurm-%j.log
#SBATCH --time=01:00:00
#SBATCH --ntasks=1
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=4
set -euo pipefail

environment=${FACESR_ENVIRONMENT:-.venv}

cd "${SLURM_SUBMIT_DIR:?submit it: sbatch scripts/slurm_test.sh CONFIG CHECKPOINT}"
if [ -f "$environment/bin/activate" ]; then . "$environment/bin/activate"; fi
exec python tools/test.py "$@"
