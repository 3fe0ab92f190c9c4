#!/bin/bash
# Trains a recipe on one or several machines of a Slurm cluster, and queues the job again when its time is over or when
# it is preempted. Submit it with: sbatch examples/train_slurm.sh RECIPE DATA RUN
# RUN must be a folder that all machines see. The next job resumes the run from its last checkpoint.
#SBATCH --job-name=passband
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --signal=USR1@300

recipe=$1 data=$2 run=$3

# Slurm starts the processes itself, so the signal reaches each of them. torchrun would end at SIGUSR1.
export MASTER_ADDR=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MASTER_PORT=$((20000 + SLURM_JOB_ID % 20000))
export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK

if compgen -G "$run/checkpoints/step-*" > /dev/null; then
    arguments=(-o "$run" --resume)
else
    rm -f "$run/run.json"   # a run that ended before its first checkpoint begins again
    arguments=("$recipe" --data "$data" -o "$run")
fi

srun bash -c 'export RANK=$SLURM_PROCID LOCAL_RANK=$SLURM_LOCALID WORLD_SIZE=$SLURM_NTASKS; exec passband train "$@"' \
    passband "${arguments[@]}"
status=$?

# 138 is SIGUSR1, five minutes before the end of the time; 143 is SIGTERM, by which Slurm preempts jobs. The checkpoint
# is written in both cases.
if [ $status -eq 138 ] || [ $status -eq 143 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $status
