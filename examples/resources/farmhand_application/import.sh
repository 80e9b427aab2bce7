# By name. The folder is not imported; the next plan compares it with the release.
terraform import farmhand_application.site site
