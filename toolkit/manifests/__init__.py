"""Every file format of bulk analysis and custom moderation, one line or one document at a time.

All of them are JSON, mostly JSON Lines (UTF-8, one object a line). What is read from outside is checked; what is wrong
with a line is said in a `ValueError` of a few words, which the caller puts beside the line's number.
"""

from toolkit.manifests.adapters import (
    BASE_KEY,
    TRUTH_KEY,
    AdapterOutput,
    Confusion,
    Evaluation,
    ThresholdEvaluation,
    adapter_output_record,
    ground_truth_record,
    parse_adapter_output_line,
    parse_evaluation,
    parse_ground_truth_line,
)
from toolkit.manifests.images import (
    IMAGE_SUFFIXES,
    MAX_BYTES,
    MAX_LINES,
    is_image_name,
    parse_input_line,
    split_lines,
)
from toolkit.manifests.lines import MAX_LINE_BYTES, lines_of, name_of, parse_object, text_of, to_line
from toolkit.manifests.results import (
    RESULT_KEY,
    RESULTS_NAME,
    Answer,
    Label,
    Result,
    level_of,
    model_version_of,
    parent_of,
    parse_response_line,
    parse_result_line,
    result_record,
    usual_level,
)
from toolkit.manifests.sagemaker import Annotation, annotation_record, parse_annotation_line
from toolkit.manifests.summary import SUMMARY_NAME, LineError, Summary, parse_summary

__all__ = [
    "BASE_KEY",
    "IMAGE_SUFFIXES",
    "MAX_BYTES",
    "MAX_LINES",
    "MAX_LINE_BYTES",
    "RESULTS_NAME",
    "RESULT_KEY",
    "SUMMARY_NAME",
    "TRUTH_KEY",
    "AdapterOutput",
    "Annotation",
    "Answer",
    "Confusion",
    "Evaluation",
    "Label",
    "LineError",
    "Result",
    "Summary",
    "ThresholdEvaluation",
    "adapter_output_record",
    "annotation_record",
    "ground_truth_record",
    "is_image_name",
    "level_of",
    "lines_of",
    "model_version_of",
    "name_of",
    "parent_of",
    "parse_adapter_output_line",
    "parse_annotation_line",
    "parse_evaluation",
    "parse_ground_truth_line",
    "parse_input_line",
    "parse_object",
    "parse_response_line",
    "parse_result_line",
    "parse_summary",
    "result_record",
    "split_lines",
    "text_of",
    "to_line",
    "usual_level",
]
