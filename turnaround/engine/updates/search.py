"""`optim=lbfgs`: a step asks for the gradients of its batch as often as its line search wants.

    turnaround run recipe=… optim=lbfgs data.batch=… layout=ddp

Each time the same examples are read with the same random draws, and the gradients of the mean loss
are added up over all ranks; so every rank makes the same decisions, and any number of devices
draws the curve of one. A step is one call of torch's L-BFGS, with all its iterations.
"""

from __future__ import annotations

from torch import Tensor

from turnaround.engine.updates import sync
from turnaround.engine.updates.sync import Gradients, Seen


class Search(sync.Update):
    """One group in step, which looks at a batch more than once."""

    def step(self, gradients: Gradients, seen: Seen, rate: float) -> None:
        """Move the parameters as far as the optimizer's iterations go; the first look is told."""
        self.pause()
        self._said = False

        def evaluate() -> Tensor:
            """The mean loss where the parameters are now, and its gradients into them."""
            loss = gradients()
            self.scale.begin(loss)
            if not self._said:
                seen(loss)
            self._said = True
            self.scale()
            return loss.values[0] / loss.count

        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step(evaluate)  # type: ignore[arg-type]  # torch's types want a float
