"""What a round trains on, and what its memory begins with."""

from pathlib import Path

import numpy as np
import torch

from passerby.adaptation.cluster_memory import ClusterMemoryLoss
from passerby.adaptation.place import place_of
from passerby.adaptation.rounds import cluster_means, labelled, start_memories
from passerby.config.objective import TermConfig
from passerby.data.records import Sample
from passerby.training.objective import Objective

PLACE = place_of([Sample(Path(f"{i}.jpg"), 0, i % 2) for i in range(64)])
CLUSTERS = np.array([0, 0, 0, 1, 2, 2, -1, 3] + [-1] * 56)


def test_outliers_held_out_crops_and_single_crops_do_not_train() -> None:
    held = np.zeros(64, np.bool_)
    held[[0]] = True
    data = labelled(PLACE, CLUSTERS, held)
    assert [(s.path.name, s.pid) for s in data.train] == [("1.jpg", 1), ("2.jpg", 1), ("4.jpg", 3), ("5.jpg", 3)]


def test_means_of_clusters_start_the_memories_of_all_parts() -> None:
    vectors = np.random.default_rng(0).normal(3.0, 2.0, (64, 6)).astype(np.float32)
    data = labelled(PLACE, CLUSTERS, np.zeros(64, np.bool_))
    means = cluster_means(vectors, data, PLACE)
    standard = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    np.testing.assert_allclose(means, [standard[:3].mean(axis=0), standard[4:6].mean(axis=0)], atol=1e-5)
    term = TermConfig(loss="passerby.adaptation.cluster_memory:ClusterMemoryLoss")
    objective = Objective({"memory": term, "lin": TermConfig()}, num_ids=2, dim=(4, 2))
    start_memories(objective, means)
    for name, part in (("memory", slice(0, 4)), ("memory@1", slice(4, 6))):
        loss = objective.terms[name]
        assert isinstance(loss, ClusterMemoryLoss)
        expected = torch.nn.functional.normalize(torch.from_numpy(means[:, part]))
        torch.testing.assert_close(loss.memory, expected)
