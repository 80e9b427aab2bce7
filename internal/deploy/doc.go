// Package deploy makes and removes what farms and sidecars need of an AWS account beside instances: IAM roles with their
// profiles, and the Auto Scaling group, launch template and security group of a sidecar on EC2.
//
// Everything is found by its name, carries a tag of whose it is, and is left alone where it does not: nothing is
// remembered here. Each call may be interrupted anywhere and made again. Start reading at Sidecars.Apply.
package deploy
