"""Components of the movie SVD are inserted into MotionSVD.

Needs element-facemap (see element_case.py); ends with an AssertionError where the fault is.
"""

from element_case import COMPONENTS, facial_signal, proc

result = proc(movie=True)
del result["motSv"], result["movSv"]
inserted = facial_signal(result)
numbers = [(row["roi_no"], row["component_id"]) for row in inserted.MotionSVD]

assert len(inserted.MovieSVD) >= COMPONENTS, f"MovieSVD gets {len(inserted.MovieSVD)} rows"
assert len(set(numbers)) == len(numbers), "MotionSVD gets each component twice"
