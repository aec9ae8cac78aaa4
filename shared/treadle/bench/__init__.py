"""What the engine costs, counted rather than timed.

Real workloads run through the real handlers over the local cloud, one delivery after another, on a clock that is a model of
AWS's latency. What the AWS client's own events see is counted by AWS's published rules: so the figures are the same on
every machine and in every run, and a change that makes one worse is seen at once. What does depend on the machine (steps a
second) is measured apart.

    sizes, prices, model   AWS's rules: bytes, capacity units, dollars, milliseconds
    meter                  counts the calls of the clients
    rig                    runs workloads under the meter
    workloads              what is run
    promises               what a user waits for, by the model
    speed                  how fast this machine runs it
    report, gates          figures per step, and what they may be
"""
