"""Steps of a plan that all processes of a command take part in: the first one goes through the plan and says which."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from weakseg.crew import TakenPartError, crew
from weakseg.pipeline.engines import Item, Outcome, WorkerDied
from weakseg.pipeline.plan import Step, StepContext, StepResult


def done_by_all(step: Step, context: StepContext) -> StepResult:
    """Do a step's work, after the processes that follow have been told of it, where they take part in it."""
    if step.work.shared:
        crew().tell((step.name, context.folder, context.inputs))
    return step.work.run(context)


def end_of_plan() -> None:
    """Tell the processes that follow that nothing of the plan is left."""
    crew().tell(None)


def take_part(steps: Sequence[Step], device: str) -> None:
    """Follow the first process through a plan: take part where it says so, and wait else; write nothing.

    Args:
        steps: The plan.
        device: Of this process.
    """
    by_name = {step.name: step for step in steps}
    while told := crew().tell():
        name, folder, inputs = told
        with suppress(TakenPartError):
            by_name[name].work.run(StepContext(folder, inputs, _NoEngine(), device))


class _NoEngine:
    """The engine of processes that follow: work on images is none of theirs."""

    workers = 0

    def check_folder(self, folder: Path) -> None:
        """Nothing is written."""

    def map(
        self, work: Callable[[Item], Outcome], items: Sequence[Item], *, title: str
    ) -> Iterator[tuple[Item, Outcome]]:
        raise AssertionError(f"{title}: is done by the first process")

    def each_alone(
        self, work: Callable[[Item], Outcome], items: Sequence[Item], *, title: str
    ) -> Iterator[tuple[Item, Outcome | WorkerDied]]:
        raise AssertionError(f"{title}: is done by the first process")

    def release(self) -> None:
        """Nothing is held."""
