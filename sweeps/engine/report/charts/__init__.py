"""The figures of report.html that can be explored, as data for plotly, which draws them there.

The files beside the page show the same by matplotlib: those go into papers.
"""
