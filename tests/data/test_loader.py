from itertools import islice

from facesr.data.loader import NumberedSampler, SampleKey


def draw(count: int, start: int = 0, rank: int = 0, world_size: int = 1) -> list[SampleKey]:
    sampler = NumberedSampler(range(5), seed=3)
    sampler.start, sampler.rank, sampler.world_size = start, rank, world_size
    return list(islice(sampler, count))


def test_every_image_is_drawn_once_a_round_in_a_new_order():
    images = [one.image for one in draw(15)]
    rounds = [images[:5], images[5:10], images[10:]]
    assert all(sorted(one) == [0, 1, 2, 3, 4] for one in rounds)
    assert rounds[0] != rounds[1] != rounds[2]
    assert draw(15) == draw(15)


def test_starts_anywhere():
    assert draw(4, start=11) == draw(15)[11:]
    far = draw(1, start=10**6)  # at once
    assert far[0].number == 10**6


def test_processes_share_the_draws():
    both = [draw(6, start=1, rank=rank, world_size=2) for rank in (0, 1)]
    assert sorted(both[0] + both[1], key=lambda one: one.number) == draw(14)[2:]
