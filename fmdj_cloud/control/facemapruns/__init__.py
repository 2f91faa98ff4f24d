"""The FacemapRun resource: tasks asked for, and watched, with kubectl."""
