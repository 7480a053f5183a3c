"""A stand-in for Ray, which runs every job in this process."""

import types


class Cluster:
    """A module like `ray`, whose node dies at every job of one name.

    Args:
        dies: Part of the first value of a job, as of a path.

    Attributes:
        answered: Jobs whose result was fetched.
    """

    class exceptions:
        RayError = ChildProcessError

    def __init__(self, dies):
        self.dies = dies
        self.answered = []

    def init(self, **_):
        pass

    def cluster_resources(self):
        return {"CPU": 1}

    def remote(self, work):
        task = types.SimpleNamespace(remote=lambda *call: (work, *call))
        return types.SimpleNamespace(options=lambda **_: task)

    def wait(self, running, timeout):
        return running[-1:], running[:-1]

    def get(self, reference):
        work, job, *rest = reference
        if self.dies in job[0]:
            raise ChildProcessError("out of memory")
        self.answered.append(job)
        return work(job, *rest)
