"""Reports a study: the answer in a sentence, tables, charts and the reasons for trust or doubt.

The report follows the Deep Learning Tuning Playbook (Godbole, Dahl, Gilmer, Shallue and Nado, 2023).
"""

from passband.studies.report.answer import Answer, answer
from passband.studies.report.write import write_study_report

__all__ = ["Answer", "answer", "write_study_report"]
