"""The Kubernetes API as the controller uses it: requests, a cache of what exists, election, Events."""
