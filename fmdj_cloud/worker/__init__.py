"""What runs in the Facemap container: one attempt of one run, without database and without Kubernetes."""
