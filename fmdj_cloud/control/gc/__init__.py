"""Housekeeping: what attempts have left and nobody needs any more, found, decided about and deleted.

`facts` says what is seen, `decide` (pure) what of it may go, `look` sees it, `sweep` deletes it.
"""
