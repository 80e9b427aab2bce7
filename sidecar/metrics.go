package sidecar

import (
	"bytes"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/farmhand/terraform-provider-farmhand/internal/exporter"
)

func newMetrics(version string) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "metrics [FARM]",
		Short: "Print metrics of farms, for Prometheus",
		Long: `Prints once, in Prometheus' text format, how farms, their servers, databases and backups stand, by what the store
says. It works whether a sidecar runs or not. farmhand run --metrics-listen serves the same over HTTP. What each
metric means, and rules to be alerted by, is in the guide on monitoring.`,
		Example: `  farmhand metrics
  farmhand metrics shop | grep backup
  farmhand metrics >/var/lib/prometheus/node-exporter/farmhand.prom.new &&
    mv /var/lib/prometheus/node-exporter/farmhand.prom.new /var/lib/prometheus/node-exporter/farmhand.prom`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, _, err := storeOf(cmd)
		if err != nil {
			return err
		}
		defer s.Close()
		farm := ""
		if len(args) > 0 {
			if farm, err = theFarm(cmd.Context(), s, args); err != nil {
				return err
			}
		}
		log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
		var out bytes.Buffer // whole or not at all
		if err := exporter.Write(&out, exporter.New(exporter.Options{Store: s, Farm: farm, Version: version, Log: log})); err != nil {
			return err
		}
		_, err = out.WriteTo(cmd.OutOrStdout())
		return err
	}
	return cmd
}
