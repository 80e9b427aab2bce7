// Package report shows what came of simulations: a table, a chart for the terminal, a picture, Markdown.
package report
