"""What is deployed to AWS: `treadle.topology` rendered with the CDK. The only place that imports aws_cdk."""
