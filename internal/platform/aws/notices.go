package aws

import (
	"context"
	"strings"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/farmhand/terraform-provider-farmhand/internal/platform"
)

// noticesEvery is how often scheduled events are asked for: they are announced days ahead.
const noticesEvery = time.Minute

type noticeCache struct {
	at   time.Time
	byID map[string]platform.Notice
}

// announced returns the scheduled events of machines. Where it cannot be asked the last answer holds: no announcement is worth
// losing the listing for. Spot's two minutes are seen by the machine's own agent.
func (p *AWS) announced(ctx context.Context) map[string]platform.Notice {
	p.mu.Lock()
	cached := p.notices
	p.mu.Unlock()
	if !cached.at.IsZero() && p.now().Sub(cached.at) < noticesEvery {
		return cached.byID
	}
	fresh := noticeCache{at: p.now(), byID: map[string]platform.Notice{}}
	if err := p.askEvents(ctx, fresh.byID); err != nil {
		p.log.Warn("asking EC2 for scheduled events; the last answer is kept", "error", err)
		fresh.byID = cached.byID
	}
	p.mu.Lock()
	p.notices = fresh
	p.mu.Unlock()
	return fresh.byID
}

// askEvents asks for machines with events only: they are few among all that the account has.
func (p *AWS) askEvents(ctx context.Context, byID map[string]platform.Notice) error {
	c, err := p.compute(ctx)
	if err != nil {
		return err
	}
	pages := ec2.NewDescribeInstanceStatusPaginator(c, &ec2.DescribeInstanceStatusInput{
		MaxResults: awssdk.Int32(pageSize),
		Filters: []types.Filter{filter("event.code", string(types.EventCodeInstanceReboot), string(types.EventCodeSystemReboot),
			string(types.EventCodeSystemMaintenance), string(types.EventCodeInstanceRetirement), string(types.EventCodeInstanceStop))},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return explain(err, "asking for scheduled events")
		}
		for _, s := range page.InstanceStatuses {
			if n, ok := soonest(s.Events); ok {
				byID[awssdk.ToString(s.InstanceId)] = n
			}
		}
	}
	return nil
}

// soonest is the event that comes first. Events that are over stay listed for a week, marked in their description
// (https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/viewing_scheduled_events.html).
func soonest(events []types.InstanceStatusEvent) (n platform.Notice, ok bool) {
	for _, e := range events {
		text := awssdk.ToString(e.Description)
		if strings.HasPrefix(text, "[Completed]") || strings.HasPrefix(text, "[Canceled]") {
			continue
		}
		kind := "maintenance"
		if e.Code == types.EventCodeInstanceRetirement || e.Code == types.EventCodeInstanceStop {
			kind = "retirement"
		}
		before := awssdk.ToTime(e.NotBefore)
		if !ok || before.Before(n.Before) {
			n, ok = platform.Notice{Kind: kind, Before: before, Text: string(e.Code) + ": " + text}, true
		}
	}
	return n, ok
}
