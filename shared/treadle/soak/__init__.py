"""Many runs through the whole local stack while its workers die: does it hold for long?

The simulation looks at one run through every fault; this looks at what only numbers show. Runs of every kind go through the stack
in waves, invocations die between two of their AWS calls, processes of tasks are killed, and of everything is asked: did each run
come to the end that it should (the shapes say which), is anything left over when all have ended, does the process grow?

    shapes    what is run, and what each run must come to
    kills     which deliveries die: a matter of the seed, not of the machine
    leftovers what may be there when every run has ended, and what may not
    memory    how large the process is, without what the runs left in the table
    drive     waves of runs, and the report
"""
