"""Reconstructors that hold others: they read, learn and need what these do."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence

from xdvarnet.mapping.observations import Fields, Record
from xdvarnet.mapping.protocol import Reconstructor


class Holding(Reconstructor):
    """A reconstructor that solves with others: the base class of windowed and calibrated ones."""

    @property
    @abstractmethod
    def held(self) -> Sequence[Reconstructor]:
        """The others, which solve the same observations."""

    @property
    def error_variables(self) -> Mapping[str, str]:
        """Those of the held ones."""
        return {name: of for part in self.held for name, of in part.error_variables.items()}

    @property
    def halo(self) -> float | None:
        """The longest halo of the held ones."""
        halos = [part.halo for part in self.held]
        known = [halo for halo in halos if halo is not None]
        return max(known, default=0) if len(known) == len(halos) else None

    @property
    def learns(self) -> Sequence[str]:
        """What the held ones learn."""
        return [name for part in self.held for name in part.learns]

    def learn(self, record: Record) -> Fields:
        """Let the held ones learn."""
        return {name: found for part in self.held for name, found in part.learn(record).items()}
