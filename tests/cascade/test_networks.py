"""The nets: shapes, costs, and one answer whether a window is cut out or scanned over."""

import pytest
import torch

from deepevent.errors import SettingsError
from deepevent_trainer.networks import Colour, build_network, costs, describe

NETS = ["det12", "cal12", "det24", "cal24", "det48", "cal48"]


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_every_net_answers_each_crop_with_its_classes(name: str, batch_norm: bool) -> None:
    """A batch of crops of the net's size gives one row of logits a crop."""
    network = build_network(name, batch_norm=batch_norm)
    classes = 2 if name.startswith("det") else 45
    crops = torch.zeros(3, 3, network.size_px, network.size_px, dtype=torch.uint8)
    assert network(crops).shape == (3, classes, 1, 1)


@pytest.mark.parametrize("name", NETS)
def test_a_net_takes_an_empty_batch(name: str) -> None:
    """No crops give no answers."""
    network = build_network(name).eval()
    assert network(torch.zeros(0, 3, network.size_px, network.size_px)).shape[0] == 0


@pytest.mark.parametrize("colour", ["rgb", "grey"])
@pytest.mark.parametrize("name", NETS)
def test_scanning_a_picture_equals_judging_each_window(name: str, colour: Colour) -> None:
    """Fully convolutional and window by window: the same logits, on sizes that do not fit too."""
    torch.manual_seed(1)
    network = build_network(name, batch_norm=True, colour=colour).eval()
    side, step = network.size_px, network.stride_px
    picture = torch.randint(0, 256, (1, 3, side + 4 * step + 3, side + 2 * step + 1), dtype=torch.uint8)
    scanned = network(picture)[0]
    rows, columns = (picture.shape[2] - side) // step + 1, (picture.shape[3] - side) // step + 1
    assert scanned.shape[1:] == (rows, columns)
    windows = torch.cat(
        [
            picture[:, :, y * step : y * step + side, x * step : x * step + side]
            for y in range(rows)
            for x in range(columns)
        ]
    )
    one_by_one = network(windows).flatten(1).T.reshape(scanned.shape)
    torch.testing.assert_close(scanned, one_by_one, rtol=1e-4, atol=1e-4)


def test_the_first_nets_windows_stand_four_pixels_apart() -> None:
    """Li et al., section 3.1: a step of 4 pixels."""
    assert build_network("det12").stride_px == 4


def test_costs_are_those_of_the_layers_by_hand() -> None:
    """det12: 3*3*3*16+16, 4*4*16*16+16 and 16*2+2 parameters, two FLOPs a multiplication."""
    rows = costs(build_network("det12"))
    assert [row.n_parameters for row in rows] == [448, 0, 4112, 34]
    assert [row.flops for row in rows] == [2 * 27 * 16 * 100, 0, 2 * 256 * 16, 2 * 16 * 2]
    assert "4,594 parameters" in describe(build_network("det12"))


def test_describing_a_net_leaves_it_in_its_mode() -> None:
    """A net that was training is training afterwards."""
    network = build_network("cal12").train()
    describe(network)
    assert network.training


def test_a_grey_net_does_not_see_colour() -> None:
    """Two crops of one luminance get one answer."""
    network = build_network("det12", colour="grey").eval()
    red = torch.zeros(1, 3, 12, 12)
    red[:, 0] = 200.0
    grey = torch.full((1, 3, 12, 12), 200.0 * 0.299)
    torch.testing.assert_close(network(red), network(grey), rtol=1e-4, atol=1e-5)


def test_unknown_names_are_told_with_what_there_is() -> None:
    """A mistyped net or recipe is answered with the list."""
    with pytest.raises(SettingsError, match="no net 'det13'; it has det12"):
        build_network("det13")
    with pytest.raises(SettingsError, match="no recipe 'x'; there are article"):
        build_network("det12", "x")
