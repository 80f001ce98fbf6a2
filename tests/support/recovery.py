"""Recovery plans and their runs, in few words."""

from support.api import recovery as dr
from support.program import CEILING

Plan, Step, Run = dr.Plan, dr.StepRun, dr.Execution


def step(id, command="", **fields):
    """An automated step, or with no command one for a person."""
    return dr.PlanStep(id=id, name=fields.pop("name", id), automated=bool(command), command=command, **fields)


def plan(*steps, name="the shop is down", **fields):
    return Plan(name=name, steps=steps, **fields)


def hook(server, name, text):
    """Puts a shell script into the server's hooks."""
    folder = server.home / "hooks"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o700)
    return path


class Recovery:
    """The calls of one client."""

    def __init__(self, client):
        self.client, self.stub = client, client.recovery

    def call(self, name, **fields):
        return self.client.call(getattr(self.stub, name), getattr(dr, f"{name}Request")(**fields))

    def create(self, *steps, **fields):
        return self.call("CreatePlan", plan=plan(*steps, **fields))

    def execute(self, plan, **fields):
        return self.call("ExecutePlan", plan_id=plan.id, reason=fields.pop("reason", "a drill"), **fields)

    def test(self, plan, environment="ISOLATED", **fields):
        return self.call("TestPlan", plan_id=plan.id, environment=dr.TestResult.Environment.Value(environment), **fields)

    def get(self, run):
        return self.call("GetExecution", execution_id=getattr(run, "execution_id", "") or run.id)

    def watch(self, run, after=0, timeout=CEILING):
        request = dr.WatchExecutionRequest(execution_id=run.id, after_sequence=after)
        return self.client.call(self.stub.WatchExecution, request, timeout)

    def watch_until(self, run, kind):
        """The events up to the first of this kind."""
        for event in self.watch(run):
            yield event
            if event.kind == kind:
                return

    def until(self, run, step_id, status):
        """Follows the run until the step is in this state; answers the run."""
        for event in self.watch(run):
            if event.kind == dr.ExecutionEvent.STEP and event.step.step_id == step_id and event.step.status == status:
                return self.get(run)
        raise AssertionError(f"the run ended before {step_id} was {Step.Status.Name(status)}:\n{self.get(run)}")

    def end(self, run):
        """Follows the run to its end; answers it."""
        for _ in self.watch(run):
            pass
        return self.get(run)

    def run(self, plan, **fields):
        return self.end(self.execute(plan, **fields))

    def result(self, test):
        """Follows the test to its end; answers its result."""
        self.end(test)
        return self.call("GetTestResult", test_id=test.id)


def states(run):
    return {step.step_id: Step.Status.Name(step.status) for step in run.steps}
