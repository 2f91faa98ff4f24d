"""Measures of outputs, all pure: numbers in, one number out, of which more is worse. What they mean for a load is
judged elsewhere: :mod:`fmdj_cloud.load.check`.

None of them raises on any values, NaN and infinity among them, or on any number of frames or components. What may be
large (masks, projections, keypoints) is measured a slice at a time, which comes to the same as all at once.
"""
