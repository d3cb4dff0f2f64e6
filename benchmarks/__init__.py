"""What linkauth costs beside its peers and beside the least that there can be: ``python -m benchmarks``.

``measure`` says what a bench is and runs its subjects in turn; ``server`` is the token endpoint and the API that they ask, a
process of its own. ``by_hand``, ``peers`` and ``ours`` are the subjects, all behind one small interface: open one, and it is a function
that gives a token. ``hit``, ``middleware``, ``storm``, ``faults``, ``rollover``, ``processes``, ``memory`` and ``imports`` are the benches;
``report`` and ``plots`` tell what they found, ``results/`` keeps it. ``between`` compares two versions of linkauth.
"""
