"""Files of a recording come in no defined order.

Needs element-facemap (see element_case.py); ends with an AssertionError where the fault is.
"""

from element_case import processing

_, asked = processing(files=("first.avi", "second.avi"))

assert any("order_by" in question for question in asked), "the files are fetched without order_by"
