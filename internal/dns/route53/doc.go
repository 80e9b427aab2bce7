// Package route53 publishes names in a hosted zone of Route 53, private or public.
//
// What is to change is one ChangeResourceRecordSets batch, which Route 53 carries out whole or not at all. A record
// that is to be another is deleted by its exact former values and created anew in the same batch: if anybody has
// touched it meanwhile, the batch is refused and the zone is read again. Nothing is ever overwritten unseen.
//
// Start reading at Publisher.Publish.
package route53
