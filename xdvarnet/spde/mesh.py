"""The cells of a grid in metres: areas, faces, distances, and which of them are sea."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from xdvarnet.errors import InvalidInputError

EARTH_RADIUS = 6.371e6
"""Mean radius of the Earth in m."""

Axis = torch.Tensor | Sequence[float]


@dataclass(frozen=True)
class Mesh:
    """Cells of an orthogonal grid; rows go north and columns east.

    Faces lie half-way between centres. What lies outside the grid is no cell. On a ring the last
    column is beside the first; the operators of `xdvarnet.spde.operator` take it `unrolled`.

    Attributes
    ----------
    area : torch.Tensor
        Areas of the cells in m2, shape (ny, nx).
    east_length : torch.Tensor
        Lengths in m of the faces between columns, shape (ny, nx + 1); the first and the last are
        edges of the grid, or on a ring one face.
    north_length : torch.Tensor
        Lengths in m of the faces between rows, shape (ny + 1, nx).
    east_distance, north_distance : torch.Tensor
        Distances in m between the centres on both sides of these faces; at an edge, twice the
        distance from the centre to the edge.
    sea : torch.Tensor
        Boolean, shape (ny, nx).
    ring : bool
        Whether the columns close.
    """

    area: torch.Tensor
    east_length: torch.Tensor
    north_length: torch.Tensor
    east_distance: torch.Tensor
    north_distance: torch.Tensor
    sea: torch.Tensor
    ring: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of rows and columns."""
        return self.area.shape[0], self.area.shape[1]

    def unrolled(self) -> "Mesh":
        """Return the mesh of a ring with the last column once more before the first, and so on.

        It is no ring, and all but its first and last column have the neighbours of the ring.
        """
        east_length, east_distance = (
            torch.cat([faces[:, -2:-1], faces, faces[:, 1:2]], 1)
            for faces in (self.east_length, self.east_distance)
        )
        return Mesh(
            area=wrap_columns(self.area),
            east_length=east_length,
            north_length=wrap_columns(self.north_length),
            east_distance=east_distance,
            north_distance=wrap_columns(self.north_distance),
            sea=wrap_columns(self.sea),
        )

    @classmethod
    def from_degrees(
        cls,
        latitude: Axis,
        longitude: Axis,
        sea: torch.Tensor | None = None,
        *,
        ring: bool = False,
    ) -> "Mesh":
        """Make the mesh of a longitude-latitude grid on the sphere.

        Areas are exact, ``R^2 dlon (sin(north) - sin(south))``. Faces next to a pole end there.

        Parameters
        ----------
        latitude, longitude : torch.Tensor or sequence of float
            Degrees, increasing, shapes (ny,) and (nx,), at least two of each; latitudes between
            the poles, longitudes within 360 degrees. The mesh is on the device of `latitude`.
        sea : torch.Tensor, optional
            Boolean, shape (ny, nx); all sea by default.
        ring : bool
            Whether the last longitude is beside the first: a globe.

        Raises
        ------
        InvalidInputError
            If an axis is not such an axis, or the mask does not fit.

        Examples
        --------
        >>> from xdvarnet.spde.mesh import Mesh
        >>> mesh = Mesh.from_degrees([30.0, 30.25], [-60.0, -59.75, -59.5])
        >>> mesh.area.shape, round(mesh.area[0, 0].item() / 1e6)
        (torch.Size([2, 3]), 669)
        """
        north, east = _axis("latitude", latitude).deg2rad(), _axis("longitude", longitude).deg2rad()
        if north.abs().max() >= torch.pi / 2:
            raise InvalidInputError(
                f"latitude goes from {north[0].rad2deg():g} to {north[-1].rad2deg():g} degrees; "
                "centres of cells lie between the poles, at more than -90 and less than 90."
            )
        if east[-1] - east[0] >= 2 * torch.pi:
            raise InvalidInputError(
                f"longitude goes from {east[0].rad2deg():g} to {east[-1].rad2deg():g} degrees; "
                "360 degrees or more would repeat cells."
            )
        faces = _faces(north).clamp(-torch.pi / 2, torch.pi / 2)
        zones = EARTH_RADIUS * faces.sin().diff()
        north_scale = faces.cos().clamp_min(0)
        seam = 2 * torch.pi - (east[-1:] - east[:1])
        steps = torch.cat([seam, east.diff(), seam]) if ring else _distances(east)
        mesh = _mesh(
            EARTH_RADIUS * north, EARTH_RADIUS * steps, zones, north.cos(), north_scale, sea
        )
        return replace(mesh, ring=ring)

    @classmethod
    def from_metres(cls, north: Axis, east: Axis, sea: torch.Tensor | None = None) -> "Mesh":
        """Make the mesh of a rectangular grid on the plane.

        Parameters
        ----------
        north, east : torch.Tensor or sequence of float
            Positions of the rows and of the columns in m, increasing, shapes (ny,) and (nx,).
        sea : torch.Tensor, optional
            Boolean, shape (ny, nx); all sea by default.

        Raises
        ------
        InvalidInputError
            If an axis is not such an axis, or the mask does not fit.
        """
        north, east = _axis("north", north), _axis("east", east)
        faces = _faces(north)
        scales = torch.ones_like(north), torch.ones_like(faces)
        return _mesh(north, _distances(east), faces.diff(), *scales, sea)


def wrap_columns(values: torch.Tensor) -> torch.Tensor:
    """Return values (..., columns) of a ring with the last before the first and the first after."""
    return torch.cat([values[..., -1:], values, values[..., :1]], -1)


def _axis(name: str, values: Axis) -> torch.Tensor:
    values = torch.as_tensor(values, dtype=torch.float64)
    if values.ndim != 1 or len(values) < 2:
        raise InvalidInputError(
            f"{name} has shape {tuple(values.shape)}; an axis of at least two positions is needed."
        )
    if not (values.isfinite().all() and (values.diff() > 0).all()):
        raise InvalidInputError(
            f"{name} must be finite and increasing; sort it, with the fields, and drop repetitions."
        )
    return values


def _faces(centres: torch.Tensor) -> torch.Tensor:
    """Put faces half-way between the centres, and half a step beyond the first and the last."""
    steps = _distances(centres)
    return torch.cat([centres[:1] - steps[:1] / 2, centres + steps[1:] / 2])


def _distances(centres: torch.Tensor) -> torch.Tensor:
    steps = centres.diff()
    return torch.cat([steps[:1], steps, steps[-1:]])


def _mesh(
    north: torch.Tensor,
    east_steps: torch.Tensor,
    zones: torch.Tensor,
    centre_scale: torch.Tensor,
    face_scale: torch.Tensor,
    sea: torch.Tensor | None,
) -> Mesh:
    """Make a mesh from rows and steps in m, areas per m east, and the true lengths of a m east."""
    columns = (east_steps[1:] + east_steps[:-1]) / 2
    shape = (len(north), len(columns))
    sea = torch.ones(shape) if sea is None else torch.as_tensor(sea)
    sea = sea.to(north.device, torch.bool)
    if sea.shape != shape:
        raise InvalidInputError(
            f"the sea mask has shape {tuple(sea.shape)}, and the grid {shape} (rows, columns)."
        )
    return Mesh(
        area=torch.outer(zones, columns),
        east_length=_faces(north).diff()[:, None].repeat(1, len(east_steps)),
        north_length=torch.outer(face_scale, columns),
        east_distance=torch.outer(centre_scale, east_steps),
        north_distance=_distances(north)[:, None].repeat(1, len(columns)),
        sea=sea,
    )
