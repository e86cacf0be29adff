"""What a trial may occupy: this machine, a cluster, its GPUs."""
