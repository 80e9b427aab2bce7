# The sidecar of this machine is always "local".
terraform import farmhand_sidecar.here local
