"""Between a learner and the state on disk."""

import torch

from geodl.training.checkpoint import State
from geodl.training.learner import Learner


def state_of(learner: Learner) -> State:
    """Take down what a learner needs to go on: weights, their average, the optimiser, recent losses."""
    state = State()
    state.put("network", learner.network.state_dict())
    if learner.average is not learner.network:
        state.put("average", learner.average.state_dict())
    if learner.losses:
        state.put("losses", {"since_check": torch.stack(learner.losses)})
    state.put_optimiser(learner.trainer.optimizers[0].state_dict())
    return state


def go_on(learner: Learner, state: State, device: torch.device) -> None:
    """Give a new learner what `state_of` took down; its optimiser takes it when it is built."""
    learner.network.load_state_dict(state.part("network"), strict=True)
    if learner.average is not learner.network:
        learner.average.load_state_dict(state.part("average"), strict=True)
    learner.optimiser_state = state.optimiser()
    learner.losses = [loss.to(device) for losses in state.part("losses").values() for loss in losses]
