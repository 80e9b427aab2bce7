# The sidecar of this machine is always "local"; one on EC2 has the name that it was given.
terraform import farmhand_sidecar.here local
terraform import farmhand_sidecar.main main
