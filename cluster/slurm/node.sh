#!/bin/bash
# What one node of a job does, started by sweep.sbatch: `ray` runs Ray, `stop` ends it, `notify` makes the trials here
# write a checkpoint and end.
set -euo pipefail
# Of this job on this node alone, also so that a notice reaches its own trials. Short: Ray's sockets have long paths.
export TMPDIR=/tmp/gon-$SLURM_JOB_ID-$SLURM_NODEID
mkdir -m 700 "$TMPDIR" 2> /dev/null || [[ -O $TMPDIR && ! -L $TMPDIR ]]

start_ray() {
  local options=(
    --block --disable-usage-stats --num-cpus="$SLURM_CPUS_PER_TASK" --temp-dir="$TMPDIR/ray"
    --min-worker-port=0 --max-worker-port=0
  )
  if [[ $SLURM_NODEID == 0 ]]; then
    options+=(
      --head --node-ip-address="${HEAD%:*}" --port="${HEAD#*:}" --ray-client-server-port="$CLIENT_PORT"
      --include-dashboard=false
    )
  else
    until (exec 3<> "/dev/tcp/${HEAD%:*}/${HEAD#*:}") 2> /dev/null; do sleep 1; done
    options+=(--address="$HEAD")
  fi
  export CUBLAS_WORKSPACE_CONFIG=:4096:8 RAY_worker_niceness=0 # else other jobs of a shared node starve the trials
  ulimit -n "$(ulimit -Hn)"
  exec ray start "${options[@]}" &> "$TMPDIR/ray.log"
}

case $1 in
  ray)
    # SIGTERM comes to all processes of a step at once, with which Ray does not end.
    trap 'rm -rf "$TMPDIR"; kill -KILL 0' TERM
    start_ray &
    echo $! > "$TMPDIR/pid"
    wait $! || [[ -e $TMPDIR/stopped ]] || tail -n 20 "$TMPDIR/ray.log" >&2
    rm -rf "$TMPDIR"
    ;;
  notify) RAY_ADDRESS=$HEAD exec python -m sweeps.engine.backend.preemption notify --seconds 60 ;;
  stop) touch "$TMPDIR/stopped" && kill "$(< "$TMPDIR/pid")" ;;
esac
