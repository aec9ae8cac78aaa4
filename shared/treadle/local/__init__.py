"""AWS and Lambda on this machine, in one process: moto stands in for AWS, the pump for Lambda's pollers and schedules.

Law: the engine does not know. It runs the same handlers over the same adapters as in the cloud, and nothing outside of this
package imports moto.
"""
