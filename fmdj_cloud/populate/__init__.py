"""Here and now: ``FacemapProcessing.populate()`` and ``FacialSignal.populate()`` as a DataJoint user expects them."""

from fmdj_cloud.populate.activate import activate

__all__ = ["activate"]
