"""Tests of the driver with contestants that only pretend: `python -m unittest discover benches/peers`."""

import sys
import unittest

import measure
import prepare
import report

ANSWERS = """
import json, sys
print(json.dumps({"name": "fake", "kernel": sys.argv[2], "version": "1"}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if len(request["texts"]) > 1 and sys.argv[1] == "0":
        sys.exit("out of memory")
    times = [int(sys.argv[1]) * (100 if index == 0 else 1) for index in range(request["repeat"])]
    vectors = [[1.0, 0.0] for _ in request["texts"]] if request["vectors"] else None
    print(json.dumps({"nanoseconds": times, "vectors": vectors}), flush=True)
"""

WORKLOADS = [
    {"name": "8 tokens", "requests": [["one"], ["two"]]},
    {"name": "batch of 2", "requests": [["one", "two"]]},
]


def fake(nanoseconds):
    return [sys.executable, "-c", ANSWERS, str(nanoseconds), "{threads}"]


def measured(commands, rounds=4):
    # The half floats 3.0 and 4.0 point where (1, 0) is at a cosine of 0.6.
    ready = prepare.Ready(commands, {}, {"workloads": WORKLOADS, "compared": ["one"]}, {"one": "AEIARA=="})
    return measure.measure(ready, 2, measure.Settings(rounds, compared=1))


class Measuring(unittest.TestCase):
    def test_the_first_time_of_a_request_is_not_counted(self):
        run = measured({"semroute": fake(5)})
        self.assertEqual(run.nanoseconds["semroute"]["8 tokens"], dict.fromkeys(range(4), [5] * 8))

    def test_a_batch_is_asked_in_one_round_of_four(self):
        run = measured({"semroute": fake(5)}, rounds=5)
        self.assertEqual(list(run.nanoseconds["semroute"]["batch of 2"]), [0, 4])

    def test_the_number_of_threads_reaches_the_command(self):
        self.assertEqual(measured({"semroute": fake(5)}).greetings["semroute"]["kernel"], "2")

    def test_who_ends_is_left_out_and_the_others_go_on(self):
        run = measured({"fails": fake(0), "semroute": fake(5)})
        self.assertIn("out of memory", run.failed["fails"])
        self.assertEqual(len(run.nanoseconds["semroute"]["8 tokens"]), 4)

    def test_a_command_that_is_not_there_is_left_out(self):
        self.assertIn("No such file", measured({"missing": ["/nonexistent"]}).failed["missing"])

    def test_vectors_are_compared_to_the_reference(self):
        self.assertAlmostEqual(measured({"semroute": fake(5)}).cosines["semroute"]["mean"], 0.6)


class Reporting(unittest.TestCase):
    def test_a_ratio_is_taken_within_its_round(self):
        ours = {0: [10, 10], 1: [100, 100], 2: [10, 10]}
        theirs = {0: [20, 20], 1: [200, 200], 2: [20, 30]}
        self.assertEqual(report.ratios(theirs, ours), [2.0, 2.0, 2.5])

    def test_the_ninety_ninth_percentile_of_few_is_their_greatest(self):
        self.assertEqual(report.percentile(range(1, 51), 0.99), 50)
        self.assertEqual(report.percentile(range(1, 201), 0.99), 198)

    def test_without_ours_there_is_no_ratio(self):
        self.assertIsNone(report.summarise_times({0: [1000]}, None)["ratio_to_ours"])

    def test_every_contestant_has_a_row(self):
        run = report.summarise_run(measured({"semroute": fake(2_000_000), "peer": fake(6_000_000)}))
        rows = report.table(run, ["8 tokens"], {})
        self.assertIn("| 2.00 / 2.00 (1.00×) |", rows[2])
        self.assertIn("| 6.00 / 6.00 (3.00×) |", rows[3])


class Pins(unittest.TestCase):
    def test_every_package_that_is_named_has_its_version(self):
        groups = [prepare.TOKENIZER, prepare.ONNXRUNTIME, prepare.EXPORT, prepare.FASTEMBED]
        for package in sum([*groups, prepare.SENTENCE_TRANSFORMERS, [prepare.WEIGHTS_PACKAGE]], []):
            self.assertIn("==", prepare.pinned(package))


if __name__ == "__main__":
    unittest.main()
