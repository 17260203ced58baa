"""``report.html``: a product as one page for people, whole in itself, with a map that pans and zooms.

=============  ==============================================================================
`subject`      what a page is about: the scene, the finished map, the model
`measure`      areas, confidence and a reduced map, in one pass over the finished blocks
`picture`      the scene as a picture, one for each date
`outlines`     the vector layers, reduced to what a screen shows
`content`      what is told in words
`folder`       what each file of the product is
`page`         the file itself; `of_job`: that of a run's product
``look/``      the page as a template that escapes every text, its style, and the script of its map
=============  ==============================================================================
"""

from geodl.page.of_job import write_report
from geodl.page.page import REPORT_FILE, write_page
from geodl.page.subject import Subject

__all__ = ["REPORT_FILE", "Subject", "write_page", "write_report"]
