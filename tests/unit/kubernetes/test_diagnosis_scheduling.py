"""What messages of the scheduler mean: they are real ones, of Kubernetes 1.31 to 1.36."""

from __future__ import annotations

import pytest

from fmdj_cloud.control.launchers.kubernetes.scheduling import read_message

FOR_GOOD = [
    "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. no new claims to deallocate, "
    "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling.",
    "0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 node(s) "
    "didn't match Pod's node affinity/selector. preemption: 0/3 nodes are available: 3 Preemption is not helpful for "
    "scheduling..",
    "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. no new claims to deallocate, "
    "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.",
    "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
    "0/2 nodes are available: 2 Insufficient cpu, 2 Insufficient nvidia.com/gpu. preemption: 0/2 nodes are available: "
    "2 Preemption is not helpful for scheduling.",
    "0/3 nodes are available: 3 node(s) had volume node affinity conflict. preemption: 0/3 nodes are available: 3 "
    "Preemption is not helpful for scheduling.",
    "0/3 nodes are available: 3 node(s) didn't match PersistentVolume's node affinity. preemption: 0/3 nodes are "
    "available: 3 Preemption is not helpful for scheduling.",
    "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: 0/1 nodes are available: 1 "
    "Preemption is not helpful for scheduling.",
    'persistentvolumeclaim "videos" not found: 0/3 nodes are available: persistentvolumeclaim "videos" not found.',
]
MAY_PASS = [
    "0/2 nodes are available: 1 Too many pods, 1 node(s) had untolerated taint(s). no new claims to deallocate, "
    "preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful "
    "for scheduling.",
    "0/4 nodes are available: 1 Insufficient cpu, 3 node(s) didn't match Pod's node affinity/selector. preemption: 0/4 "
    "nodes are available: 1 No preemption victims found for incoming pod, 3 Preemption is not helpful for scheduling.",
    "0/1 nodes are available: 1 Insufficient nvidia.com/gpu. preemption: not eligible due to preemptionPolicy=Never.",
    "0/1 nodes are available: 1 Insufficient memory.",
    "0/2 nodes are available: 1 node(s) were unschedulable, 1 node(s) didn't match Pod's node affinity/selector. "
    "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling.",
    "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }. preemption: 0/1 nodes "
    "are available: 1 Preemption is not helpful for scheduling.",
    "0/1 nodes are available: 1 node(s) had untolerated taint {ToBeDeletedByClusterAutoscaler: 1769850000}.",
    "0/1 nodes are available: 1 node(s) had untolerated taint {node.cloudprovider.kubernetes.io/uninitialized: true}.",
    "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. preemption: 0/3 nodes are available: 3 "
    "No preemption victims found for incoming pod.",
    "0/3 nodes are available: waiting for ephemeral volume controller to create the persistentvolumeclaim.",
    "0/3 nodes are available: 3 node(s) exceed max volume count.",
    "0/3 nodes are available: 3 something that a later Kubernetes says.",
    "0/0 nodes are available: .",
    "no nodes available to schedule pods",
    "",
]


@pytest.mark.parametrize("message", FOR_GOOD)
def test_no_node_can_ever_take_it(message):
    assert read_message(message).for_good


@pytest.mark.parametrize("message", MAY_PASS)
def test_it_may_pass(message):
    assert not read_message(message).for_good


def test_nodes_are_counted_by_what_is_wrong_with_them():
    assert read_message(FOR_GOOD[0]).reasons == ((1, "node(s) had untolerated taint(s)"), (2, "Insufficient cpu"))
    assert read_message(FOR_GOOD[1]).reasons == (
        (1, "node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }"),
        (2, "node(s) didn't match Pod's node affinity/selector"),
    )
    assert read_message(FOR_GOOD[7]).reasons == ((0, "pod has unbound immediate PersistentVolumeClaims"),)
