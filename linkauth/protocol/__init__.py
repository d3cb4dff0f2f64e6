"""The renewal protocol as a page: what a worker does with a credential that many share. Pure: no loop, clock or socket."""
