// Package aws is the platform of farms on EC2: machines by EC2 Fleet, disks by EBS, addresses by Elastic IP, load
// balancers by ELBv2.
//
// EC2 is told what is wanted in as few calls as it takes: many machines are launched, listed and ended by one call, and
// what nobody asked for by name (attaching, stocking, tagging, tidying) is done by Keep. Machines of one call are alike
// in everything, tags included; which one is which instance stands in the store under state.MachineKey, written here.
// A call that makes something is written down before it is made and carries a client token, so that it can be repeated
// after a crash and makes nothing twice.
//
// Nothing here rests on when EC2 shows what it was told: what was just made and is not listed yet is not lost
// (https://docs.aws.amazon.com/ec2/latest/devguide/eventual-consistency.html).
//
// Start reading at launch.go and list.go.
package aws
