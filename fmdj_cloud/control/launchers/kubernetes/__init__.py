"""The Kubernetes launcher: one Job, one pod, for every attempt."""
