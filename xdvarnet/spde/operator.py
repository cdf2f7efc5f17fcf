"""Advection, diffusion and damping by finite volumes, in physical units (metres and days).

The operator ``A u = kappa^2 u + div(m u) - div(H grad u)`` is the sum of three stencils in
integrated form, ``K = area * A``::

    damping(mesh, kappa2) + advection(mesh, stream_function) + diffusion(mesh, tensor)

Land is removed: no flux crosses its faces, nor the edges of the grid. The edges of a window at sea
are no walls, so solve with a margin around it. A land cell has the equation ``area * u`` from the
damping, and no neighbours.

Diffusion is a multipoint flux approximation, the symmetric O-method (Aavatsmark 2002,
doi 10.1023/A:1021291114475). At each corner of the grid, four quadrants of cells meet, each with
the gradient g from its centre to its two half-faces there, and with the energy
``area * g^T H g``. The values on the four half-faces are those that make the sum least: the normal
flux is continuous, and zero where a half-face has land on one side. This minimum is a quadratic
form of the four centres, so the matrix has nine points; it is symmetric and positive semidefinite
for any field of H; fluxes between cells are harmonic means where H is diagonal; and it is exact on
quadratics for a constant H. Harmonic means on the faces with separate cross terms on the corners
are not semidefinite where H varies.
"""

import torch
from torch.nn import functional

from xdvarnet.errors import InvalidInputError
from xdvarnet.spde.mesh import Mesh
from xdvarnet.spde.stencil import CENTRE, OFFSETS, Stencil

Values = torch.Tensor | float

_QUADRANTS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Cells around a corner, as steps (north, east) from the one in the south-west."""


def damping(mesh: Mesh, kappa2: Values) -> Stencil:
    """Integrate ``kappa^2 u`` over the cells: ``area * kappa2``, and the area alone on land.

    Parameters
    ----------
    mesh : Mesh
        The grid.
    kappa2 : torch.Tensor or float
        Positive rate, in 1/day (in 1/m2 for a spatial filter): a number, or broadcastable to
        (..., ny, nx). Not read on land.

    Raises
    ------
    InvalidInputError
        If it is not positive and finite, or does not fit.
    """
    kappa2 = checked_field("kappa2", kappa2, mesh, mesh.sea, fill=1.0, positive=True)
    entries = [torch.zeros_like(kappa2)] * len(OFFSETS)
    entries[CENTRE] = mesh.area * kappa2
    return Stencil(torch.stack(entries, -3))


def advection(
    mesh: Mesh, stream_function: Values = 0.0, *, east: Values = 0.0, north: Values = 0.0
) -> Stencil:
    """Integrate ``div(m u)`` over the cells, by first-order upwind fluxes.

    ``m = (-d psi/d north, d psi/d east) + (east, north)``: the first part has no divergence in any
    cell where psi is constant along coasts and edges. What a cell loses its neighbour gains.
    The scheme adds the diffusion ``|m| spacing / 2``, and an implicit step of dt another
    ``m^2 dt / 2``.

    Parameters
    ----------
    mesh : Mesh
        The grid.
    stream_function : torch.Tensor or float
        psi at the corners of the cells, in m2/day: broadcastable to (..., ny + 1, nx + 1).
    east, north : torch.Tensor or float
        Velocities in m/day across the faces between columns and between rows, broadcastable to
        (..., ny, nx - 1) and (..., ny - 1, nx). Not read at a coast.

    Raises
    ------
    InvalidInputError
        If a value is not finite, or a shape does not fit.
    """
    (rows, columns), sea = mesh.shape, mesh.sea
    corners = torch.ones(rows + 1, columns + 1, dtype=torch.bool, device=sea.device)
    psi = checked_field("stream_function", stream_function, mesh, corners)
    open_east, open_north = sea[:, 1:] & sea[:, :-1], sea[1:] & sea[:-1]
    east = checked_field("east", east, mesh, open_east) * mesh.east_length[:, 1:-1]
    north = checked_field("north", north, mesh, open_north) * mesh.north_length[1:-1]
    east = open_east * (east - psi[..., :, 1:-1].diff(dim=-2))
    north = open_north * (north + psi[..., 1:-1, :].diff(dim=-1))
    # each way out of a cell: the flux, then the padding that puts it on the cells that it leaves
    outflow = {
        (0, 1): _pad(east.clamp_min(0), west=0, east=1),
        (0, -1): _pad((-east).clamp_min(0), west=1, east=0),
        (1, 0): _pad(north.clamp_min(0), south=0, north=1),
        (-1, 0): _pad((-north).clamp_min(0), south=1, north=0),
    }
    return _from_columns(outflow)


def anisotropy_tensor(
    ratio: Values, angle: Values
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Make the tensor of unit determinant ``ratio^(-1/2) (I + (ratio - 1) e e^T)``.

    Parameters
    ----------
    ratio : torch.Tensor or float
        Diffusion along the axis e over that across it, positive; lengths have the ratio
        sqrt(ratio).
    angle : torch.Tensor or float
        Direction of the axis in radians, counterclockwise from east; pi more is the same axis.

    Returns
    -------
    tuple of torch.Tensor
        Components (east-east, east-north, north-north).

    Raises
    ------
    InvalidInputError
        If the ratio is not positive, or a value is not finite.

    Examples
    --------
    >>> from xdvarnet.spde.operator import anisotropy_tensor
    >>> [round(component.item(), 3) for component in anisotropy_tensor(4.0, 0.0)]
    [2.0, 0.0, 0.5]
    """
    ratio = torch.as_tensor(ratio, dtype=torch.float64)
    angle = torch.as_tensor(angle, dtype=torch.float64, device=ratio.device)
    _require("ratio", ratio, ratio.isfinite() & (ratio > 0), "give positive and finite ratios")
    _require("angle", angle, angle.isfinite(), "give finite radians")
    half = ratio.log() / 2
    along, across = half.sinh() * (2 * angle).cos(), half.sinh() * (2 * angle).sin()
    return half.cosh() + along, across, half.cosh() - along


def diffusion(mesh: Mesh, tensor: tuple[Values, Values, Values]) -> Stencil:
    """Integrate ``-div(H grad u)`` over the cells: symmetric and positive semidefinite.

    Constants over a sea are its null space. Where H is strongly anisotropic and oblique to the
    grid, entries off the diagonal may be positive.

    Parameters
    ----------
    mesh : Mesh
        The grid.
    tensor : tuple of torch.Tensor or float
        Components (east-east, east-north, north-north) of H at the centres, in m2/day (without
        units for a spatial filter), positive definite: numbers, or broadcastable to (..., ny, nx).
        Not read on land.

    Raises
    ------
    InvalidInputError
        If the tensor is not finite and positive definite, or does not fit.
    """
    weights = _corner_weights(*_corner_system(mesh, _checked_tensor(mesh, tensor)))
    outflow: dict[tuple[int, int], torch.Tensor] = {}
    for here, (row, column) in enumerate(_QUADRANTS):
        for there, (other_row, other_column) in enumerate(_QUADRANTS):
            if here != there:
                # one number for both directions: the matrix is symmetric to the last bit
                weight = weights[..., min(here, there), max(here, there)]
                weight = weight[..., 1 - row :, 1 - column :][..., : mesh.shape[0], : mesh.shape[1]]
                step = (other_row - row, other_column - column)
                outflow[step] = outflow.get(step, 0) + weight
    return _from_columns(outflow)


def _checked_tensor(mesh: Mesh, tensor: tuple[Values, Values, Values]) -> tuple[torch.Tensor, ...]:
    if len(tensor) != 3:
        raise InvalidInputError(
            f"the diffusion tensor has {len(tensor)} components; give three: east-east, "
            "east-north and north-north."
        )
    ee = checked_field("tensor[0] (east-east)", tensor[0], mesh, mesh.sea, fill=1.0, positive=True)
    en = checked_field("tensor[1] (east-north)", tensor[1], mesh, mesh.sea)
    nn = checked_field(
        "tensor[2] (north-north)", tensor[2], mesh, mesh.sea, fill=1.0, positive=True
    )
    determinant = ee * nn - en.square()
    wanted = "the tensor must be positive definite; anisotropy_tensor makes such tensors"
    _require("the determinant of the diffusion tensor", determinant, determinant > 0, wanted)
    return torch.broadcast_tensors(ee, en, nn)


def _corner_system(
    mesh: Mesh, tensor: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Energies at the corners: between half-faces, (..., 4, 4), and of these with the centres.

    Half-faces are in the order south, north (between columns), west, east (between rows). With
    half-face values f and centre values u, a corner's energy is
    ``f^T faces f - 2 u^T centres f + ...``.
    """
    ee: list[torch.Tensor] = []
    en: list[torch.Tensor] = []
    nn: list[torch.Tensor] = []
    width = (mesh.east_distance[:, 1:] + mesh.east_distance[:, :-1]) / 2
    for north, east in _QUADRANTS:  # the cell; its quadrant at the corner is on the other side
        to_north = mesh.north_distance[1 - north :][: mesh.shape[0]]
        to_east = mesh.east_distance[:, 1 - east :][:, : mesh.shape[1]]
        stretch = mesh.north_length[1 - north :][: mesh.shape[0]] / width
        sign = 1 if north == east else -1
        for parts, component, factor in (
            (ee, tensor[0], to_north / to_east),
            (en, tensor[1], sign * stretch.sqrt()),
            (nn, tensor[2], to_east / to_north * stretch),
        ):
            values = component * factor * mesh.sea
            parts.append(_pad(values, south=1 - north, north=north, west=1 - east, east=east))
    none = torch.zeros_like(ee[0])
    faces = [
        [ee[0] + ee[1], none, en[0], en[1]],
        [none, ee[2] + ee[3], en[2], en[3]],
        [en[0], en[2], nn[0] + nn[2], none],
        [en[1], en[3], none, nn[1] + nn[3]],
    ]
    centres = [
        [ee[0] + en[0], none, nn[0] + en[0], none],
        [ee[1] + en[1], none, none, nn[1] + en[1]],
        [none, ee[2] + en[2], nn[2] + en[2], none],
        [none, ee[3] + en[3], none, nn[3] + en[3]],
    ]
    return _matrix(faces), _matrix(centres)


def _corner_weights(faces: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
    """Minimise over the half-faces; return the couplings between the four centres."""
    alone = faces.diagonal(dim1=-2, dim2=-1) == 0  # half-faces between land cells
    faces = faces + torch.diag_embed(alone.to(faces.dtype))
    return centres @ torch.linalg.solve(faces, centres.mT)


def _matrix(rows: list[list[torch.Tensor]]) -> torch.Tensor:
    return torch.stack([torch.stack(row, -1) for row in rows], -2)


def _from_columns(outflow: dict[tuple[int, int], torch.Tensor]) -> Stencil:
    """Make the stencil of what leaves a cell, per unit of its value, towards each neighbour.

    It is built by columns and transposed: their sums are zero, so nothing is lost.
    """
    total = sum(outflow.values())
    assert isinstance(total, torch.Tensor)
    columns = {step: -flux for step, flux in outflow.items()} | {(0, 0): total}
    entries = [columns.get(step, torch.zeros_like(total)) for step in OFFSETS]
    return Stencil(torch.stack(torch.broadcast_tensors(*entries), -3)).transpose()


def _pad(
    values: torch.Tensor, *, south: int = 0, north: int = 0, west: int = 0, east: int = 0
) -> torch.Tensor:
    return functional.pad(values, (west, east, south, north))


def checked_field(
    name: str,
    values: Values,
    mesh: Mesh,
    used: torch.Tensor,
    *,
    fill: float = 0.0,
    positive: bool = False,
) -> torch.Tensor:
    """Return values (..., rows, columns) where they are used, and `fill` elsewhere.

    Raises
    ------
    InvalidInputError
        If one that is used is not finite (and positive), or the shape does not fit; with its place.
    """
    values = torch.as_tensor(values, dtype=torch.float64, device=mesh.area.device)
    sizes = zip(values.shape[-2:], used.shape, strict=False)
    if values.ndim == 1 or any(size not in (1, wanted) for size, wanted in sizes):
        raise InvalidInputError(
            f"{name} has shape {tuple(values.shape)}; accepted are a number and "
            f"(..., {used.shape[0]}, {used.shape[1]}), where a size may be 1."
        )
    good = values.isfinite() & (values > 0) if positive else values.isfinite()
    wanted = f"give {'positive and ' if positive else ''}finite values"
    _require(name, values, good | ~used if values.ndim else good, wanted)
    return torch.where(used, values, fill)


def _require(name: str, values: torch.Tensor, good: torch.Tensor, wanted: str) -> None:
    """Raise an error that says where the first value is that is not good."""
    if good.all():
        return
    place = tuple((~good).nonzero()[0].tolist())
    where = f" at index {place}" if place else ""
    number = int((~good).sum())
    others = f", and {number - 1} more are wrong" if number > 1 else ""
    raise InvalidInputError(
        f"{name} is {values.expand(good.shape)[place].item():g}{where}{others}; {wanted}."
    )
