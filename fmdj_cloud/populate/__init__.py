"""Here and now: ``populate()`` of FacemapProcessing, FacialSignal and FacemapInference as DataJoint users expect it."""

from fmdj_cloud.populate.activate import activate, activate_inference

__all__ = ["activate", "activate_inference"]
